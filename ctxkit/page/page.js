"use strict";
(() => {
  const SHOWN = 50;
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const made = (tag, props) => Object.assign(document.createElement(tag), props);

  // Compares two cells: numbers by value, texts as people order them; what is unknown comes last either way.
  const compared = (a, b, sign) => {
    const [x, y] = [a, b].map((cell) => (cell.hasAttribute("data-value") ? cell.dataset.value : cell.textContent));
    if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
    const numbers = a.hasAttribute("data-value") && b.hasAttribute("data-value");
    return sign * (numbers ? Number(x) - Number(y) : words.compare(x, y));
  };

  const furnish = (box) => {
    const table = box.querySelector("table");
    const body = table && table.tBodies[0];
    if (!body || body.rows.length < 2) return;
    let rows = [...body.rows];
    const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));
    const status = made("span", { className: "told" });
    status.setAttribute("role", "status");
    const input = made("input", { type: "search", autocomplete: "off", spellcheck: false });
    const more = made("button", { type: "button", className: "more" });
    let all = rows.length <= SHOWN * 1.2;

    const show = (tell) => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const row of rows) {
        const fits = wanted.every((word) => texts.get(row).includes(word));
        found += fits ? 1 : 0;
        row.hidden = !fits;
        row.classList.toggle("later", fits && !all && found > SHOWN); // on paper they are all there
      }
      more.hidden = all || found <= SHOWN;
      more.textContent = `Show all ${found.toLocaleString("en")}`;
      status.classList.toggle("few", found < rows.length);
      const [some, whole] = [found, rows.length].map((count) => count.toLocaleString("en"));
      const first = more.hidden ? "" : `, the first ${SHOWN} shown`;
      const total = table.tFoot && wanted.length ? "; the total is of all rows" : "";
      if (tell || !all) status.textContent = `${wanted.length ? `${some} of ${whole}` : whole} rows${first}${total}`;
    };

    const sort = (head, place) => {
      const numbers = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const up = before ? before === "descending" : !numbers;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows = rows.map((row) => [row, row.cells[place]])
        .sort((a, b) => compared(a[1], b[1], up ? 1 : -1)).map(([row]) => row);
      const shelf = document.createDocumentFragment();
      for (const row of rows) shelf.append(row);
      body.append(shelf);
      show(false);
    };

    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const button = made("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(head, place));
    });

    const bar = box.querySelector(".bar");
    bar.append(status);
    if (rows.length > 7) {
      const label = made("label", {});
      label.append("Filter ", input);
      input.addEventListener("input", () => show(true));
      bar.append(label);
    }
    more.addEventListener("click", () => {
      all = true;
      show(true);
    });
    table.parentElement.after(more);
    show(false);
  };

  for (const box of document.querySelectorAll(".table")) furnish(box);
})();

"""Weighing a request before it is sent and an answer after it came.

``count`` gives the tokens of a request: ``exact`` (OpenAI's vocabularies, the ``openai_*`` modules) or ``fitted`` (every
other family, by the calibration table), corrected by ``learning``. ``prices`` knows what tokens cost, ``settling``
makes the record of an attempt, ``ledger`` keeps records and ``report`` adds them up.
"""

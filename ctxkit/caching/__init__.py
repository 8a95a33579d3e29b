"""The provider's cache: by which rules it works, what a request will read and write, where markers pay, why one missed."""

"""Parts of `symbols`, `index` and `outline`: from bytes to symbols, to answers, to a map."""

"""Parts of `checkout`: files of a moment laid out once, and the copies that share them."""

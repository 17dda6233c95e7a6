"""Reading corpora, queries and judgements; the built-in collection."""

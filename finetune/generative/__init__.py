"""Training the docid retriever: its code tables and the query encoder, against frozen codebooks and vectors."""

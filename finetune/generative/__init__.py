"""Training the docid retriever: code tables and the query encoder, or a language model that writes docids."""

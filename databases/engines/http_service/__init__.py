"""The http engine: the records of a microservice, read over HTTP as JSON."""

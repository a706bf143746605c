"""A metric report as a page: figures, sentences, verdict, HTML and PDF."""

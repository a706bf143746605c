"""The pages of a metric report: figures, sentences, verdict, HTML and PDF."""

"""How pages are made: templates, languages, the sentences after a form was sent."""

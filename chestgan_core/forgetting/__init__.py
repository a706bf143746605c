"""A patient withdraws: what came of the patient is found, deleted or withdrawn, and recorded."""

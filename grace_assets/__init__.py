"""grace_assets turns what an autonomous operator repaired into proof, numbers and reports."""

"""What the user looks into after imputing."""

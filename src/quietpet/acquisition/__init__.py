"""What a scan measures of an activity: prompts, the model that expects them, doses and thinning."""

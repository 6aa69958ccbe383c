"""Talk to the Hugging Face Hub: fetch, push and tag repositories, and write their cards."""

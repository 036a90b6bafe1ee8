"""What services and the scheduler need from the outside, as protocols. Adapters implement them; `bootstrap` chooses."""

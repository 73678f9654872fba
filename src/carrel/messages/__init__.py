"""What crosses a wire, as pydantic models. Pure: no input, no output."""

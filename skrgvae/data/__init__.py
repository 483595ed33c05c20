"""The user's data as arrays of numbers; knows no model."""

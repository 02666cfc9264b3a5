"""Networks and code in the formats that authors have."""

"""Programs and containers as models: folders in, folders out."""

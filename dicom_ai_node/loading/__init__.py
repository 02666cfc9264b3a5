"""From stored instances to what a model is given, or to a sentence that says why not."""

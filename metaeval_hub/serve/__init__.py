"""Answer requests over HTTP, and export a model to ONNX."""

"""What runs a network: torch, OpenVINO or ONNX Runtime, each behind one callable."""

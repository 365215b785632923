"""What EventBridge costs, beside the same job written plainly: `make bench`, docs/benchmarks.md."""

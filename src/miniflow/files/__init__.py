"""Files: arrays in one safetensors file, atomic writing, and templates that are filled in."""

"""From integer ops to hardware layers: what one layer reads, and how layers are made of it."""

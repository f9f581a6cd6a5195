"""Hi-Net: two encoders, fused layer by layer, and a discriminator."""

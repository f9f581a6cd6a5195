"""dEa-GAN: a generative adversarial network whose losses and discriminator see Sobel edges."""

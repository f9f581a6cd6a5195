"""Line integrals and their adjoints: the embedded projector and STIR's, behind one protocol."""

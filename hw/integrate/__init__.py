"""The integrator lanes and the group scaler."""

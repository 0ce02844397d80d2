"""Search policies side by side on landscapes whose optimum is known. No model and no program takes part."""

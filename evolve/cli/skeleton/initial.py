"""The program that the search starts from: the Taylor polynomial of the sine."""


# EVOLVE-BLOCK-START
def solve() -> list[float]:
    """Coefficients of a polynomial, lowest power first."""
    return [0.0, 1.0, 0.0, -0.166666667, 0.0, 0.008333333]


# EVOLVE-BLOCK-END

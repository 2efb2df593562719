import unittest

from billsplit.balance import balances
from billsplit.split import split_evenly


class SplitTest(unittest.TestCase):
    def test_an_even_amount_is_shared_evenly(self) -> None:
        self.assertEqual(split_evenly(9000, 3), [3000, 3000, 3000])

    def test_the_first_people_pay_the_odd_cents(self) -> None:
        self.assertEqual(split_evenly(200, 3), [67, 67, 66])

    def test_nobody_cannot_pay(self) -> None:
        with self.assertRaises(ValueError):
            split_evenly(100, 0)


class BalanceTest(unittest.TestCase):
    def test_balances_add_up_to_zero(self) -> None:
        self.assertEqual(sum(balances({"Ada": 10000, "Grace": 0, "Linus": 0}).values()), 0)


if __name__ == "__main__":
    unittest.main()

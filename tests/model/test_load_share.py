"""What a load generator drives: a whole burst, or its share of one."""

from hypothesis import given
from hypothesis import strategies as st

from harness.model.arrivals import Pattern, RequestMix, RequestName
from harness.model.load_share import LoadShare
from harness.model.timeline import Burst

mixes = st.builds(
    RequestMix.of,
    st.dictionaries(st.sampled_from(list(RequestName)), st.floats(0.1, 10), min_size=1),
    hold_s=st.floats(0, 5),
)
bursts = st.builds(
    Burst,
    requests=st.integers(1, 300),
    over_s=st.floats(0.001, 1e4),
    arrivals=st.sampled_from([pattern.value for pattern in Pattern if pattern is not Pattern.GIVEN]),
    mix=mixes,
)


@given(bursts, st.integers(0, 2**63), st.integers(1, 12))
def test_the_shares_together_are_exactly_the_schedule(burst: Burst, seed: int, workers: int) -> None:
    driven = [share.arrivals() for share in LoadShare(load=burst, seed=seed).split(workers)]
    assert all(arrival.number % workers == index for index, share in enumerate(driven) for arrival in share)
    together = sorted((arrival for share in driven for arrival in share), key=lambda arrival: arrival.number)
    assert tuple(together) == burst.schedule(seed)

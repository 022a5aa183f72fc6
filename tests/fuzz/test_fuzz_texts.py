"""Every text of a command line: pools, wakes, objectives, settings, ranges, variables, URLs, and whole commands."""

from hypothesis import strategies as st

from harness.application.variables import read_variables
from harness.cli.questions import read_axes, read_pool, read_settings
from harness.cli.ranges import number_range, whole_range
from harness.cli.run import plan_of
from harness.lint.configuration import REFERENCE_VARIABLES, as_psycopg, of_pool, of_variables
from harness.model.application import check_target
from harness.model.driver import driver_of_url
from harness.model.objective import read_objective
from harness.model.pool import SETTINGS, PoolConfiguration
from harness.model.wake import PROFILES, profile, read_wake
from harness.up.upstream import Upstream
from tests.fuzz.fuzzing import Fuzzer, samples, texts

NUMBER = r"([0-9]{1,3}|[0-9]{1,2}\.[0-9]{1,3})"
SETTING = (
    rf"((pool_timeout|connection_timeout|statement_timeout)={NUMBER}|pool_recycle=[1-9][0-9]{{1,3}}"
    rf"|(use_lifo|pool_pre_ping)=(true|false)|driver=(asyncpg|psycopg)|[a-z_]{{1,12}}={NUMBER})"
)
POOL = rf"((the fix|that night|[A-Za-z][a-z0-9]{{0,8}}): ?)?([1-9][0-9]?\+[0-9]{{1,2}})(,{SETTING}){{0,3}}"
WAKE = rf"({'|'.join(PROFILES)}|({'|'.join(PROFILES)}):{NUMBER}|{NUMBER}|[a-z]{{1,5}}(:{NUMBER})?)"
SHARE = r"(failed|pool_timeout|connect_timeout|error|answered_within\([1-9][0-9]?s\))[<>]=?[0-9]{1,2}(\.[0-9])?%"
TIME = r"(p\((50|95|99|99\.9)\)|p(50|95|99)|max|avg|med)[<>]=?[1-9][0-9]{0,2}(ms|s)"
OBJECTIVE = f"({SHARE}|{TIME})"


def test_pools(fuzzer: Fuzzer) -> None:
    def read(text: str) -> None:
        pool = read_pool(text)
        assert pool.resolved == PoolConfiguration(**{name: getattr(pool, name) for name in pool.__slots__}).resolved
        of_pool(text, pool)

    fuzzer(texts(POOL), read, accepted=0.1)


def test_wakes(fuzzer: Fuzzer) -> None:
    own = profile("neon")
    fuzzer(texts(WAKE), lambda text: read_wake(text).applied_to(own).latency.quantile(0.5), accepted=0.1)


def test_objectives(fuzzer: Fuzzer) -> None:
    def read(text: str) -> None:
        objective = read_objective(text)
        assert str(read_objective(str(objective))) == str(objective)

    fuzzer(texts(OBJECTIVE), read, accepted=0.1)


def test_settings(fuzzer: Fuzzer) -> None:
    def read(pairs: list[str]) -> None:
        after = PoolConfiguration.from_short("5+0").with_settings(read_settings(pairs))
        assert after.label

    fuzzer(st.lists(texts(SETTING, most=1), max_size=3), read, accepted=0.1)


def test_axes_of_set(fuzzer: Fuzzer) -> None:
    def read(pairs: list[str]) -> None:
        for name, values in read_axes(pairs).items():
            for value in values[:20]:
                PoolConfiguration.from_short("5+0").with_settings({name: value})

    axis = rf"({'|'.join(SETTINGS)})={NUMBER}(,{NUMBER}){{0,3}}"
    fuzzer(st.lists(texts(axis, most=1), min_size=1, max_size=2), read, accepted=0.1)


def test_ranges(fuzzer: Fuzzer) -> None:
    def read(text: str) -> None:
        values = number_range(text, where="--wake")
        assert values == sorted(set(values))
        assert len(values) <= 1_000
        whole_range(text, where="--pool-size")

    fuzzer(texts(r"[0-9]{1,2}(:[0-9]{1,3}(:[1-9][0-9]?)?)?|[0-9]{1,2}(,[0-9]{1,2}){0,4}"), read, accepted=0.1)


def test_variables_of_an_application(fuzzer: Fuzzer) -> None:
    named = rf"({'|'.join(SETTINGS)})=[A-Z_]{{1,9}}(:(ms|s))?"
    text = rf"(prefect|libpq|url|database|fastapi-template|{named})(,pool_size=[A-Z]{{2,5}})?"
    fuzzer(st.lists(texts(text, most=1), max_size=3), read_variables, accepted=0.1)


def test_the_environments_variables(fuzzer: Fuzzer) -> None:
    names = [variable.name for variable in REFERENCE_VARIABLES]
    values = texts(rf"{NUMBER}|true|false|postgresql\+(asyncpg|psycopg)://a:b@localhost/db(\?connect_timeout=[0-9])?")

    def read(environment: dict[str, str]) -> None:
        PoolConfiguration.from_environment(environment)
        of_variables(environment, source="here").pool  # noqa: B018 - it is read when it is asked for

    fuzzer(st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3), read, accepted=0.05)


def test_timeouts_as_psycopg_reads_them(fuzzer: Fuzzer) -> None:
    fuzzer(texts(NUMBER), lambda text: as_psycopg(text, "here"), accepted=0.2)


def test_urls_of_databases_and_of_applications(fuzzer: Fuzzer) -> None:
    dsn = (
        r"(postgresql(\+asyncpg|\+psycopg)?://[a-z]{1,5}(:[!-~]{1,6})?@(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?/[a-z]{1,5}"
        r"(\?(sslmode=(disable|require)|connect_timeout=[0-9]|application_name=[a-z]{1,4}))?"
        r"|host=localhost port=[0-9]{2,4} dbname=[a-z]{1,4}( password='[ -&(-~]{0,5}')?)"
    )

    def read(text: str) -> None:
        upstream = Upstream.read(text)
        upstream.url_at("127.0.0.1", 5432)
        upstream.libpq_url_at("127.0.0.1", 5432)
        assert text.partition("password=")[2] not in repr(upstream) or "password=" not in text

    fuzzer(texts(dsn), read, accepted=0.1)
    fuzzer(texts(dsn), lambda text: driver_of_url(text, where="here"), accepted=0.1)
    target = (
        r"https?://([a-z]{1,6}(:[a-z]{0,6})?@)?(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[a-z]{0,4}){0,2}(\?a=b)?"
    )
    fuzzer(texts(target), check_target, accepted=0.1)


def options() -> st.SearchStrategy[str]:
    return st.one_of(
        texts(POOL, most=1).map(lambda text: f"--pool={text}"),
        texts(WAKE, most=1).map(lambda text: f"--wake={text}"),
        texts(r"--(requests|over|repeat|seed|warm|service-time|connect-time|alert-sustained)=[1-9][0-9]?", most=1),
        texts(
            r"--(arrivals=(poisson|even|at_once)|on-suspend=(close|terminate|reset|freeze|keep)|(no-)?control)", most=1
        ),
        texts(rf"--set={SETTING}", most=1),
        texts(r"--(stub=[a-z]{1,5}=[0-9]|env=libpq|kernel=[a-z]{3,6}|while-waking=(hold|drop|refuse|error))", most=1),
    )


def test_commands(fuzzer: Fuzzer) -> None:
    def read(drawn: tuple[str, list[str]]) -> None:
        scenario, options = drawn
        _, plan, _ = plan_of(["--stack=simulated", *options, "--", scenario])
        assert plan.pools

    scenario = st.sampled_from(["cold_burst", "idle_reaper", "warm_start"]) | samples("cold_burst", most=1)
    fuzzer(st.tuples(scenario, st.lists(options(), max_size=3)), read, accepted=0.1, most=2_000)

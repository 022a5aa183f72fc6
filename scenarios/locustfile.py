"""Any scenario under Locust's own command line and web page.

    locust -f scenarios/locustfile.py --scenario cold_burst --headless
    locust -f scenarios/locustfile.py --scenario cold_burst --pool 10+5 --wake 12
    locust -f scenarios/locustfile.py --scenario cold_burst --headless --processes 2

Without --host it brings up PostgreSQL, the proxy and the service itself. On several hosts, with a service that runs:

    locust -f scenarios/locustfile.py --scenario cold_burst --host URL --headless --master --expect-workers 2
    locust -f scenarios/locustfile.py --worker --master-host HOST
"""

from harness.load.scenario_user import OneUserAWorker, ScenarioUser

__all__ = ["OneUserAWorker", "ScenarioUser"]

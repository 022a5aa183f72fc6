"""Any scenario under Locust's own command line and web page.

    locust -f scenarios/locustfile.py --scenario cold_burst --headless
    locust -f scenarios/locustfile.py --scenario cold_burst --pool 10+5 --wake 12

Without --host it brings up PostgreSQL, the proxy and the service itself.
"""

from harness.load.scenario_user import ScenarioUser

__all__ = ["ScenarioUser"]

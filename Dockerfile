# The service under test, Locust and the sleeping compute of docker-compose.yml: one image, the command says which.
FROM python:3.13-slim

WORKDIR /coldstart
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1

COPY requirements.lock ./
RUN pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE docker-compose.yml ./
COPY harness harness
COPY scenarios scenarios
RUN pip install --quiet --no-deps --no-build-isolation --editable .

USER nobody
CMD ["coldstart", "--help"]

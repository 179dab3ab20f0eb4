# syntax=docker/dockerfile:1
# Everything that needs the network happens while the image is built; the container needs none.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# A build of torch without CUDA is a tenth of the size: name where it is with this argument.
ARG PIP_EXTRA_INDEX_URL=""
ENV CELLWRIGHT_CACHE_DIR=/home/cellwright/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 cellwright
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel="$(find /wheels -name '*.whl')" && pip install --no-cache-dir "${wheel}[page,mcp]"
USER 1000
WORKDIR /home/cellwright
# Base weights, and the index of the knowledge, which a first search makes.
RUN cellwright models pull && cellwright knowledge search "B cell marker" && cellwright doctor
ENV CELLWRIGHT_OFFLINE=1
EXPOSE 8050
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8050/static/page.css')"]
ENTRYPOINT ["cellwright"]
# Other machines can reach it, so a token is asked: CELLWRIGHT_TOKEN, or the one that is printed.
CMD ["serve", "--host", "0.0.0.0", "--no-browser"]

# The manager's image. `make docker-build` builds it for this machine; for others:
#   docker buildx build --platform linux/amd64,linux/arm64 -t <image> --push .
# The compiler runs on the machine's own platform and compiles for the wanted one.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src

# The modules are a layer of their own: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download

COPY api api
COPY cmd/manager cmd/manager
COPY internal internal
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o /manager ./cmd/manager

# No shell, no package manager, no root: the certificates of public authorities and the manager are all there is.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /manager /manager
# The number, since a kubelet cannot tell from a name that it is not root (runAsNonRoot).
USER 65532:65532
ENTRYPOINT ["/manager"]

module circle-registry-clients

go 1.23

//! proxyd: a load balancer that reads an unchanged haproxy.cfg.

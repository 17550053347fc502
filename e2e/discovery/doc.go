// Package discovery tests the zone that gateways answer for, with resolvers and clients that others wrote.
package discovery

import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv6 } from 'node:net'
import type { NextFunction, Request, Response } from 'express'
import { notFound } from '../http-errors.ts'

/**
 * For development pages that open accounts (the mail preview): they exist for a browser on this machine only. The peer of the
 * TCP connection decides, because clients choose the Host header and X-Forwarded-For.
 */
export function requireLocalPeer(req: Request, _res: Response, next: NextFunction): void {
  next(isLocalPeer(req) ? undefined : notFound())
}

/** True for a connection from a loopback address that no reverse proxy forwards. */
export function isLocalPeer({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): boolean {
  // The IP address is gone once the client has reset the connection.
  const { remoteAddress = '' } = socket
  const isForwarded = Object.keys(headers).some((name) => FORWARDED.test(name))
  return !isForwarded && LOOPBACK.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')
}

/** Headers that reverse proxies and content delivery networks add (RFC 7239, RFC 9110 §7.6.3, and older ones). */
const FORWARDED =
  /^(forwarded|via|x-forwarded(-.+)?|x-original-.+|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip)$/

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

import type { Net } from '#consensus/engine/ports.ts';
import type { Network } from '#p2p/network.ts';
import type { Relay, RelayNet } from '#src/pool/relay.ts';

/** The network as agreement sees it; both parts exist by the time anything is sent. */
export function netPort(network: () => Network, relay: () => Relay): Net {
  return {
    send: (peer, message) => void network().send(peer, 'consensus', message),
    broadcast: (message) => network().broadcast('consensus', message),
    request: (peer, message, timeoutMs) => network().request(peer, message, timeoutMs),
    penalize: (peer, penalty, reason) => network().penalize(peer, penalty, reason),
    connected: () =>
      network()
        .peers()
        .flatMap(({ peerId, connection }) => (connection === null ? [] : [peerId])),
    pushPending: (peers) => relay().push(peers),
  };
}

/** The network as the relay of payments sees it. */
export function relayNet(network: () => Network): RelayNet {
  return {
    send: (peer, message) => void network().send(peer, 'transactions', message),
    broadcast: (message) => network().broadcast('transactions', message),
  };
}

import { parleyFanout } from '../lib/parley-peer.js';

/** As many writers as there are users, where the others have 8 posts in flight: durable commits wait for the disk together. */
export default { title: 'Parley, 16 writers', fanout: parleyFanout({ inFlight: 16 }) };

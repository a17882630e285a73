/** The one message of the door, as metrics name it. */
export const messageName = 'mirrored-request';

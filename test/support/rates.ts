/** Without the limits on what one may do in a minute, for suites whose few users do more. */
export const NO_RATES = {
  OPERATION_LIMIT: 'off',
  POST_LIMIT: 'off',
  ROOM_LIMIT: 'off',
  JOIN_LIMIT: 'off',
  UPLOAD_LIMIT: 'off',
};

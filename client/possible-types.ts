
      export interface PossibleTypesResultData {
        possibleTypes: {
          [key: string]: string[]
        }
      }
      const result: PossibleTypesResultData = {
  "possibleTypes": {
    "Node": [
      "File",
      "Message",
      "Room",
      "RoomMember",
      "UploadSession",
      "User",
      "Viewer"
    ],
    "RoomEvent": [
      "Checkpoint",
      "FileAdded",
      "FileChanged",
      "FileDeleted",
      "MemberJoined",
      "MemberLeft",
      "MemberRoleChanged",
      "MessageAdded",
      "MessageDeleted",
      "MessageEdited"
    ],
    "UploadOutcome": [
      "RejectedFile",
      "UploadedFile"
    ]
  }
};
      export default result;
    
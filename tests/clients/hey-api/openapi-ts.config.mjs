// ECMAScript modules of Node.js import files with their extension.
export default {
  output: { path: "hey-api/client", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch", "@hey-api/sdk", "@hey-api/typescript"],
};

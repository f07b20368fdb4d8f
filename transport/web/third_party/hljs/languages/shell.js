/*! highlight.js 11.12.0 | BSD-3-Clause | the licence: third_party/LICENSES/highlight.js.txt */
var s=(()=>{"use strict";return e=>({name:"Shell Session",aliases:["console","shellsession"],contains:[{className:"meta.prompt",begin:/^\s{0,3}[./~\w\d[\]()@-]*[>%$#][ ]?/,starts:{end:/[^\\](?=\s*$)/,subLanguage:"bash"}}]})})(),a=s;export{a as default};
